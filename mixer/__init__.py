"""The mixer: the legs of a recording to one encoded file with peaks and checksum."""
