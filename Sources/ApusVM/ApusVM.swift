// ApusVM: see docs/.
