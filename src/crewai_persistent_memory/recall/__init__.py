"""What an agent is given of the entries that a search found: a pipeline of pure functions, without CrewAI."""
