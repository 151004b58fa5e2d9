// The files of Sources/ that may say `unsafe`. Keep the list short: everything else sees spans and checked views.
// To add one: put its name under its target, sorted, and say in the file's header comment what is unsafe and why it is
// right.

let unsafeFiles: [String: Set<String>] = [
  "ApusBase": [
    "ByteBuffer.swift",
    "ByteView.swift",
    "Value.swift",
  ],
  "ApusIO": [
    "MemorySharedMemory.swift",
    "EngineThread.swift",
    "Ring.swift",
    "SystemCalls.swift",
    "ThreadSemaphore.swift",
    "Waiter.swift",
  ],
  "ApusStorage": [
    "BTreeCursor.swift",
    "BTreePage.swift",
    "ColumnSlots.swift",
    "CursorRegistry.swift",
    "CursorState+Record.swift",
    "CursorState.swift",
    "FileCache.swift",
    "KeyDescription.swift",
    "Page.swift",
    "PageImage.swift",
    "PageTable.swift",
    "Pager+Commit.swift",
    "Pager+Load.swift",
    "Pager+Open.swift",
    "Pager+Pages.swift",
    "Pager+Savepoints.swift",
    "Pager+Spill.swift",
    "Pager+Transactions.swift",
    "Pager.swift",
    "RecordCodec.swift",
    "RequestGroup.swift",
    "SerialType.swift",
    "WALFormat.swift",
  ],
  "ApusVM": [
    "ConnectionState.swift",
    "CursorTable.swift",
    "FunctionDefinition.swift",
    "FunctionTable.swift",
    "Loop.swift",
    "Machine.swift",
    "MachineCore.swift",
    "Program.swift",
    "RegisterFile.swift",
    "SortEntries.swift",
    "SortMerge.swift",
    "UnpackedRecord.swift",
  ],
  "ApusFunctions": [
    "ExtremeFunctions.swift",
    "GroupConcatFunctions.swift",
    "PercentileFunctions.swift",
  ],
  "ApusHarness": [
    "ChildProcess.swift",
    "Console.swift",
    "SQLiteLibrary.swift",
  ],
  "ApusBench": [
    "BenchCommand.swift"
  ],
  "ApusConformance": [
    "ConformanceCommand.swift",
    "ValueText.swift",
  ],
]
