"""The layout of a ring file, which the recorder writes and the watcher reads.

A ring is a header of native 64-bit words, and a data area of frames, one after the other, each of
which may wrap around the area's end. Positions in the area count on from lap to lap and begin at
`capacity`, so that a position shows its lap and is never 0; `position % capacity` is where it lies.

A frame is the data of one record, and then four native 64-bit words: the position where the frame
begins; CLOCK_MONOTONIC in ns; the bytes of all records before it, and flags; and the position where
the frame ends. So the frames can be walked backwards from the newest, and a frame that is
half-written, or was overwritten since, is known by words that don't fit.

In a marker's frame, a line stands before the record: the marker's number, and what `channel` says
of it. With a log for each run, so it does where a record's run is known: number 0, event `RECORD`.
"""

FORMAT = 0x5243484F474F4C  # the lower bytes of the magic word, the same in each version
FORMAT_BITS = 56
VERSION = 2
MAGIC = FORMAT | VERSION << FORMAT_BITS  # written last, when the header is complete

# Words of the header, by index.
RING_MAGIC = 0
RING_PID = 1
RING_STARTED = 2  # CLOCK_MONOTONIC, ns
RING_WALL_OFFSET = 3  # ns; wall clock = monotonic + this, modulo 2**64
RING_CAPACITY = 4  # bytes of the data area
RING_HEAD = 5  # no frame ends after this position; set before one that would is written
RING_FAILURES = 6  # failure markers logged
RING_MARKERS = 7  # markers logged
RING_LEVEL = 8  # highest level number of a record, plus 1; 0: none
RING_LOST = 9  # records that could not be recorded
RING_ORPHANS = 10  # forked children that could not open a ring of their own

HEADER = 256  # bytes
DEFAULT_CAPACITY_BYTES = 1 << 18  # of the data area, unless said otherwise
MAX_CAPACITY_BYTES = 1 << 27

FRAME = "=QQQQ"  # start, time, written before, end
FRAME_BYTES = 32
# Added to the bytes before a frame:
TRACEBACK = 1 << 62  # it is no record, but the traceback of an uncaught exception
CUT = 1 << 61  # it is the end of a record that was longer than half the ring
MARKER = 1 << 60  # it is a marker's
WRITTEN_MASK = MARKER - 1

LOCK = "lock"  # the name of the file that the watcher holds a lock on
SUFFIX = ".ring"
PRINTED_SUFFIX = ".printed"  # of a ring with what was printed, where that has to outlive loghc
NOTE_SUFFIX = (
    ".note"  # a symbolic link whose target is the text: it takes no descriptor and no page
)

# A message in the channel is a line of fields with a tab between them: MESSAGE, pid, monotonic time
# in ns, when the ring was opened in which it stands as well and its number there (0 and 0: none),
# event, lane, run id, the record. In the record, "\\", "\t" and "\n" are escaped by a backslash,
# and so they are in a sink's options, which stand in place of the run id.
# A lane is numbers separated by commas; a run id of "-" means that there is none.
MESSAGE = b"loghc2"
RECORD = b"record"
END = "end"  # the event of a log that ends its run without a verdict
MESSAGE_BYTES = 4096  # at most; what PIPE_BUF is on Linux: such a write is never split
