// Apus: see docs/.
