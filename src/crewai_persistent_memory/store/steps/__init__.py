"""The operations of a store as steps: the arguments are checked, the scope is resolved, an operation is executed.

Each is written once, with its arguments and its documentation, as a function of a :class:`.handle.StoreHandle`.
:class:`~..scoped_operations.ScopedOperations` has these functions as its methods. :class:`~..base.MemoryStore` has each
twice: one method waits for the steps, the other awaits them.
"""
