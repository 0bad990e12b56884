"""Where memories are kept. A store knows scopes and entries; none knows CrewAI."""
