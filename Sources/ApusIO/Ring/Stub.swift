struct RingRefusal: Error { var reason: String }
enum Ring { static func make(_ o: RingOptions) -> Result<Void, RingRefusal> { .failure(RingRefusal(reason: "not in this build yet")) } }
final class RingQueueX {}
func RingQueue(environment: SystemEnvironment, options: RingOptions) -> any IOQueue { PosixQueue() }
