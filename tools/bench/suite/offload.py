def offload(_run, _arguments):
    pass
