"""Sources and sinks for the closed loop, each thin over a library that is an extra of its own.

    synthetic.SyntheticCamera                      a camera without hardware
    zeromq.FrameReceiver, zeromq.AnswerPublisher   the rig's side; FrameSender and AnswerReceiver are the other
    lsl.FrameInlet, lsl.ResponseOutlet             Lab Streaming Layer
    video.VideoSource, folder.ImageFolder          files

Each may be closed from any thread, which ends an iteration that waits. See docs/transports.md.
"""
