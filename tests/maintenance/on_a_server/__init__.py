"""Another embedder for a store on a server, while other processes use it: nothing is lost, doubled or back."""
