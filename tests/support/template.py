"""What the server that forks our programs does once, as its last import, in place of each program.

Import it nowhere else: what is alive then is never collected.
"""

import gc
import mimetypes

mimetypes.init()

# Each collection in a program would look at all that was imported, and copy the pages that it lies in.
gc.collect()
gc.freeze()
