"""The client of the service: one file, run by the target's own Python beside its Portage.

It has to run with nothing else, so it imports nothing of cloche, and no room imports it: the
service hands out the file as it is.
"""
