"""Compatibility: all that servers do differently, found by the shape of the data, never by the name of a host.

    error_bodies      the error in a body, an event or a choice, in every spelling
    wordings          what servers only say in words: the prompt is too long
    waits             a wait that only the body of an error asks for
    error_responses   a response that is not what was asked for -> its exception
    normalise         messages and lists of models in one shape
    unsupported       what rawchat adds to a request, left out for a server that refuses it

What is odd in the deltas of a stream is `merge`'s.  A new quirk goes into the chapter that it concerns; tests/test_servers.py plays recordings of each server.
"""
