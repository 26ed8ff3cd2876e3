"""The layout of a ring file, shared by the recorder (which writes it) and the watcher (which reads it).

A ring is a header and a data area, both made of native 64-bit words. Positions in the data area
count on from lap to lap and begin at `capacity`, so that a position is never 0 and tells its lap;
`position % capacity` is where the frame lies.

A frame is four words and the data of one record. It begins at a multiple of `ALIGN`, so that its
words never wrap around the end of the data area; its data may. It is valid when its first word is its
own position, which is written last: what is half-written, or was overwritten since, isn't.
"""

MAGIC = 0x3152434847484F4C  # "LOGHCR" and a version; written last, when the header is complete

# Words of the header, by index.
RING_MAGIC = 0
RING_PID = 1
RING_STARTED = 2  # CLOCK_MONOTONIC, ns
RING_WALL_OFFSET = 3  # ns; wall clock = monotonic + this
RING_CAPACITY = 4  # bytes of the data area
RING_HEAD = 5  # position after the newest frame; set before that frame is written
RING_LAST = 6  # position of the newest frame; may be one behind
RING_FAILED = 7  # 1: a failure marker was logged; never set back
RING_MARKERS = 8  # markers logged
RING_LEVEL = 9  # highest level number of a record, plus 1; 0: none
RING_LOST = 10  # records that could not be recorded
RING_ORPHANS = 11  # forked children that could not open a ring of their own
RING_VERSION = 16  # loguru's version in UTF-8, VERSION_BYTES long, padded with zeros
VERSION_BYTES = 32

HEADER = 256  # bytes

# Words of a frame, by index.
FRAME_STAMP = 0  # the frame's own position
FRAME_TIME = 1  # CLOCK_MONOTONIC, ns
FRAME_SIZES = 2  # back << BACK_SHIFT | kind << KIND_SHIFT | length
FRAME_WRITTEN = 3  # bytes of records written before this one

ALIGN = 32  # a frame begins at a multiple of this; its words take as much
BACK_SHIFT = 32  # above: bytes from the previous frame's position to this one's, 0 for the first
KIND_SHIFT = 30
LENGTH_MASK = (1 << KIND_SHIFT) - 1
KIND_RECORD = 0
KIND_TRACEBACK = 1  # an uncaught exception's, written when the process exits

SUFFIX = ".ring"
NOTE_SUFFIX = ".note"  # a symbolic link whose target is the text: it takes no descriptor and no page

# A message in the channel is a line of fields with a tab between them: MESSAGE, pid, monotonic time
# in ns, event, thread, task, run id, the record. In the last two, "\\", "\t" and "\n" are escaped by
# a backslash. A run id of "-" is none; others begin with "=".
MESSAGE = b"loghc1"
MESSAGE_BYTES = 4096  # at most; what PIPE_BUF is on Linux: such a write is never split
