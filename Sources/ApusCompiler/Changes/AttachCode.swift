// ATTACH and DETACH. Their arguments are expressions without tables; a bare name stands for its text.

import ApusBase
import ApusSQL
import ApusVM

extension Generator {
  func attach(_ database: Expression, _ name: Expression, _ key: Expression?) throws(EngineError) {
    if key != nil { throw unsupported("ATTACH ... KEY (encrypted databases)") }
    let first = registers(2)
    try argument(database, into: first)
    try argument(name, into: first + 1)
    builder.emit(.attach, first, first + 1)
  }

  func detach(_ name: Expression) throws(EngineError) {
    let register = register()
    try argument(name, into: register)
    builder.emit(.detach, register)
  }

  /// A name where an expression is expected stands for itself.
  func argument(_ expression: Expression, into register: Int32) throws(EngineError) {
    if case .column(let reference) = expression, reference.table == nil {
      builder.emit(.constant, 0, register, p4: builder.constantIndex(.text(reference.column.text)))
      return
    }
    try code(try binder.scalar(expression, nil), into: register)
  }
}
