"""Evidence packages: a call taken out with its audio and its journal, signed."""
