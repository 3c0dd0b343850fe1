"""The service that builds packages on demand: HTTP, targets, a queue, an index for each target.

One asyncio process, which builds nothing itself: calls of `cloche.targets.calls` run in workers
(`cloche.broker.executor`). Its state is a directory (`settings.State`) with a database.
"""
