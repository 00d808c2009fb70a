"""`velocell view`: a recording, its tracks and its tuning, in the browser.

    source.py     windows of a recording, of any size, on disk or in memory
    settings.py   everything that can be tuned, with its limits -> a Network
    analysis.py   runs network and detector in the background, the newest settings first
    pictures.py   what a picture is made of: events, spikes, objects, membranes
    stream.py     a live source: what is held of it, in the same terms
    live.py       analysis and session that follow a stream
    session.py    `Session`: all state of the page, without any transport
    server.py     HTTP and WebSocket around one Session
    static/       the page: plain HTML, CSS and JavaScript, served as it stands

The library below knows nothing of it.
"""
