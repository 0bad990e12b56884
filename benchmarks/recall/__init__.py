"""Recall measured through the product: what a store finds, and what stands in an agent's prompt.

    python -m benchmarks.recall [--conversations FILE] [--settings name=value ...] [--parts-off part ...]
        [--embedder NAME] [--before FOLDER] [--write docs/recall.md]

Every set is stored in an embedded store in a temporary folder. Then each question is asked twice: bare, of
``open_store().search``, and as a crew asks, by ``kickoff()`` of a real crew whose LLM only keeps its prompt.

``--conversations`` (or ``RECALL_CONVERSATIONS``) names a file of dated conversations with questions. Such data is not
part of the project. The other sets are in ``benchmarks/recall/sets``.
"""
