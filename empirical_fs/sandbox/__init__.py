"""An Empirical project served from a folder: a stand-in for the API and for its object store.

It shares no code with the rest of the package, so that a mistake in one is not repeated in the other.

    cli ─┬─ samples                                       files to begin with
         └─ server ─ app ─┬─ exchange ─┬─ api ─────┐      the listing, one resource, renaming
                          │            ├─ store ───┼─ signing    URLs in the manner of R2
                          │            ├─ content ─┘      URLs of the API's own content endpoint
                          │            ├─ faults, shaping, connection    the planned failures
                          │            └─ journal         counts and log of the requests
                          └─ control                      plan and journal over HTTP

`project` (with `sidecar`) reads the folder, `objects` (with `ranges`) answers with one object, `responses`
has the answers that the API and the store share, `plan` defines the failures, and `rewriting` makes those of
them that change the form of an answer. `documents` and `zipped` make samples, and `digits` parses numbers in
URLs.
"""
