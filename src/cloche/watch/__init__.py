"""Following an ``emerge`` that runs outside of cloche; what it does, as the events of a build."""
