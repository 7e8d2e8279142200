"""How fast the plugin answers, how fast it stops, and what that costs, beside its peers.

Run ``python -m benchmarks`` in the repository. The order to read: ``__main__`` starts the processes,
``relay``, ``server`` and ``dialects`` are the service's side, ``client``, ``contenders``, ``call`` and
``track`` the caller's side. ``first_audio``, ``barge_in``, ``conversation`` and ``cost`` are what is
measured, ``goals`` what is asked for, ``report`` and ``picture`` show it.

Two more commands: ``python -m benchmarks.capacity`` finds how many calls are carried, and
``python -m benchmarks.resampling`` draws what the converter does to a sweep.
"""
