// ApusStorage: see docs/.
