"""Events in; lines for people or JSON for programs out."""
