"""The proof beside the official SDK: one script, played to both, and what each made of it.

    scenario        the words: Scenario, Call, and the makers of odd answers
    shape           ┐
    retrying        │
    answering       │ the scenarios, as data
    streaming       │
    merging         │
    typed           │
    connecting      ┘
    scenarios       all of them
    the_sdk         what a call is for openai-python
    the_client      ... and for rawchat
    as_models       the shapes of typed answers for openai-python
    as_dataclasses  ... and for rawchat
    play            plays every scenario to one side, in that side's own process
    compare         two observations → a verdict; verdicts → tables
    reasons         the reasons of the differences, in groups

`python -m tests.parity` runs both sides and writes docs/parity.md and schemas.json; `make parity` calls it.
"""
