"""Files read and written safely: regular ones alone, of bounded size, whole or not at all."""
