"""How fast the plugin answers, how fast it stops, and what that costs, beside its peers.

Run ``python -m benchmarks`` in the repository. The order to read: ``__main__`` starts the processes,
``network`` and ``dialects`` are the service's side, ``contenders`` and ``call`` the client's side,
``rows`` says what is measured, ``goals`` what is asked for, ``report`` and ``picture`` show it.
"""
