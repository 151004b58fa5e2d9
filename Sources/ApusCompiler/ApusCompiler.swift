// ApusCompiler: see docs/.
