"""The operations of a memory as steps, for every CrewAI: paths of entries, events, and results in CrewAI's types.

Every operation is a generator over :class:`.parts.MemoryParts`. ``memory_api`` waits for its steps, blocking or
awaiting, so each decision is written once. Differences between the generations of CrewAI are passed in as values:
:class:`.record_conversion.ResultTypes`, and the :class:`.llm_pipeline.Pipeline` that CrewAI has since 1.10.
"""
