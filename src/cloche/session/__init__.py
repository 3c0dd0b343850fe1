"""The library: what every command of cloche is made of, without a command line.

`session.open_session` opens a project with a store and an engine; `session.Session` is what can be
done with them: make seeds, sync repositories, lock, fetch, plan, build, look around. `docs/api.md`
has examples.
"""
