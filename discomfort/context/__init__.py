"""The context: a store of values shared by processes, RAM first and then disk.

``discomfort.context.context.WorkflowContext`` is the public class. Nothing here imports the compiler or the runtime,
and nothing here imports torch or numpy before a value needs them.
"""
