"""CrewAI until 1.9.3: short-term, long-term, entity and external memory. Its contextual memory adds them to prompts."""
