"""File-system layers: composing, capturing and comparing trees."""
