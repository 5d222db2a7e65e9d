// Loaded into a process before anything else: it ends with whoever started it, however that one ended.
// The channel to it closes then. Not by an orderly end, which a disk that hangs could hold up.
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
// Nobody stays alive to wait for that.
process.channel?.unref();
