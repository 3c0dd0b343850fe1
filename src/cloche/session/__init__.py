"""The library below the commands that make seeds, sync, lock, fetch, plan, build and open shells.

`session.open_session` opens a project with a store and an engine; the methods of `session.Session`
are these commands. `docs/api.md`
has examples.
"""
