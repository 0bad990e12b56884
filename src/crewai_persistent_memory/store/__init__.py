"""Stores for memories. A store works with scopes and entries and does not depend on CrewAI."""
