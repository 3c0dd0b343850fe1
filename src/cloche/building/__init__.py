"""Carries out a plan: looks up known results, schedules and composes, reports events."""
