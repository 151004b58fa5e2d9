// ApusIO: see docs/.
