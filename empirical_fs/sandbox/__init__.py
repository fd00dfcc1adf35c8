"""An Empirical project served from a folder: a stand-in for the API and for its object store.

It shares no code with the rest of the package, so that what one gets wrong the other does not excuse.

    cli ─┬─ samples                                       files to begin with
         └─ server ─ app ─┬─ exchange ─┬─ api ─────┐      the listing, one resource, renaming
                          │            ├─ store ───┼─ signing    URLs in the manner of R2
                          │            ├─ content ─┘      URLs of the API's own content endpoint
                          │            ├─ faults, shaping, connection    what goes wrong, and how
                          │            └─ journal         what was asked
                          └─ control                      plan and journal over HTTP

`project` (with `sidecar`) is the folder, `objects` (with `ranges`) one object's answer, `plan` the plan.
"""
