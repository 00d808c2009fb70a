"""`velocell view`: a recording, its tracks and its tuning, in the browser.

What comes in:

    source.py     what the viewer needs of a recording: windows of it; one in memory
    windowed.py   windows of a recording on disk, of any size
    opening.py    a file -> a part of it, cleaned, as a source
    stream.py     a live source: what is held of it, in the same terms

What is worked out:

    settings.py   everything that can be tuned, with its limits -> networks; command.py: the command line for it
    measuring.py  contrast and radius, measured on the source
    run.py        engine and detector over a source, at the pace of a recording or of a stream
    analysis.py   runs in the background (worker.py), the newest settings first

What is shown:

    session.py    `Session`: all state of the page, without any transport. It holds
    player.py       where the cursor is, in a recording or along a stream
    view.py         what the picture shows, made by pictures.py and packed by wire.py
    tuning.py       the settings that hold
    curves.py, object_table.py, marks.py, export.py, describe.py
    kind.py         what a session holds for a recording; following.py: for a stream
    server.py     HTTP and WebSocket around one Session; access.py: who may ask
    static/       the page: plain HTML, CSS and JavaScript, served as it stands

No concrete class is subclassed here; what differs for a stream is held. The library below knows nothing of it.
"""
