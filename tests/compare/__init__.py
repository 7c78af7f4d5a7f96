"""rawchat beside the SDK, llm, litellm and a bare requests script, measured alike.

    drivers     one small program per client: a plain call and a streamed call; needs nothing of the tests
    faults      what servers and networks do wrong, as scripts of the scripted server
    __main__    install each client, measure, and write docs/comparison.md and the table in the README

`python -m tests.compare` runs it; it takes a few minutes and installs the clients into build/compare.
"""
