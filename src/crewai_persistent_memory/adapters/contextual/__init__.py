"""CrewAI until 1.9.3: short-term, long-term, entity and external memory, put into prompts by its contextual memory."""
