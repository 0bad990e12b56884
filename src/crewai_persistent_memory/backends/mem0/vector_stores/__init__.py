"""The vector stores of Mem0 OSS: how each differs, which are opened, and what is made right in each."""
