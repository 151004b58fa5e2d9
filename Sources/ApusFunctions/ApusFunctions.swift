// ApusFunctions: see docs/.
