"""Tables of judgements that people have, read without opening an image: who voted for which of two images.

:func:`twinrank.data.formats.votes.read.read_votes` reads them, and
:func:`twinrank.data.formats.votes.names.find_images` finds the images that they name.
"""
