// ApusSQL: see docs/.
