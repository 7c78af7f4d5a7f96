"""Find out why a server cannot be reached, and what it can do: `python -m rawchat.doctor [BASE_URL]`.

The chapters, in reading order:

    settings      each setting, its value and where it comes from; the proxy and the CA bundle
    plan          what stage 1 has to know of the settings
    certificate   what a TLS certificate says
    sockets       the error of a step, and a bound on the time of a read
    proxies       CONNECT and SOCKS
    tls           the handshake, with and without verification
    steps         resolve, connect, one HTTP exchange; and by import all of the above
    remedies      for each cause of a failure: what to do
    responses     what the HTTP responses on the way mean
    route         stage 1: the connection: name, TCP, proxy, TLS
    way           stage 1: all steps from here to the model, up to the first that fails
    exchanges     stage 2: one request, and what its response holds
    probe         stage 2: the bounds, and the order of the checks
    check_chat, check_tools, check_server       stage 2: one function for each feature of a server
    report        the lines for a person, the JSON for a machine
    options       the command line
    command       one run of it all
    adapter       all that the doctor uses of the rest of rawchat

Nothing else in rawchat imports this folder.
"""
