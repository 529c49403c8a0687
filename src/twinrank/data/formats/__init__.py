"""Formats of pair files, a module for each: NPZ files and arrays, folders of images, tables, labels, selections.

All give :class:`twinrank.data.formats.arrays.PairArrays`, and refuse whatever is not well-formed.
"""
