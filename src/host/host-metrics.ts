import type { Counter, Gauge, Metrics } from '../ports/telemetry.js';

/** What the host counts. Gauges are set about once a second, from sums over all groups. */
export interface HostMetrics {
  readonly groups: Gauge;
  readonly leaders: Gauge;
  readonly asleep: Gauge;
  readonly fenced: Gauge;
  readonly applyLagEntries: Gauge;
  readonly proposalsPending: Gauge;
  readonly recentBytes: Gauge;
  readonly campaigns: Counter;
  readonly electionsWon: Counter;
  readonly fencings: Counter;
  readonly stopped: Counter;
  readonly tailsLost: Counter;
  readonly recoveries: Counter;
  readonly logsGivenUp: Counter;
  readonly entriesApplied: Counter;
  readonly messagesSent: Counter;
  readonly messagesDropped: Counter;
  readonly messagesUnclaimed: Counter;
  readonly snapshotsSent: Counter;
  readonly snapshotsInstalled: Counter;
  readonly checkpointsSaved: Counter;
  readonly ticksLate: Counter;
  readonly verifications: Counter;
}

export function hostMetrics(metrics: Metrics): HostMetrics {
  return {
    groups: metrics.gauge('raft_groups', 'Raft groups open on this broker.'),
    leaders: metrics.gauge('raft_leaders', 'Raft groups this broker leads.'),
    asleep: metrics.gauge(
      'raft_groups_asleep',
      'Raft groups that sleep, as nothing happens in them.',
    ),
    fenced: metrics.gauge('raft_replicas_fenced', 'Replicas that do not serve after an error.'),
    applyLagEntries: metrics.gauge(
      'raft_apply_lag_entries',
      'Committed entries not yet applied, in the group that lags most.',
    ),
    proposalsPending: metrics.gauge('raft_proposals_pending', 'Proposals without an outcome yet.'),
    recentBytes: metrics.gauge('raft_recent_entries_bytes', 'Recent entries held in memory.'),
    campaigns: metrics.counter('raft_campaigns_total', 'Elections this broker stood in.'),
    electionsWon: metrics.counter('raft_elections_won_total', 'Elections this broker won.'),
    fencings: metrics.counter('raft_fencings_total', 'Replicas fenced after an error.'),
    stopped: metrics.counter(
      'raft_replicas_stopped_total',
      'Replicas stopped for good by a bug; they come back with a restart.',
    ),
    tailsLost: metrics.counter(
      'raft_unsafe_tails_lost_total',
      'Replicas with unsafe durability found after their machine went down.',
    ),
    recoveries: metrics.counter(
      'raft_unsafe_recoveries_total',
      'Leaderships begun although acknowledged records may be lost, after a power cut of a majority.',
    ),
    logsGivenUp: metrics.counter(
      'raft_unsafe_logs_given_up_total',
      'Replicas that gave up committed entries which a recovery went on without.',
    ),
    entriesApplied: metrics.counter('raft_entries_applied_total', 'Entries applied.'),
    messagesSent: metrics.counter('raft_messages_sent_total', 'Raft messages given to peers.'),
    messagesDropped: metrics.counter(
      'raft_messages_dropped_total',
      'Raft messages the transport could not take.',
    ),
    messagesUnclaimed: metrics.counter(
      'raft_messages_unclaimed_total',
      'Raft messages that came for no open replica.',
    ),
    snapshotsSent: metrics.counter('raft_snapshots_sent_total', 'Snapshots sent to peers.'),
    snapshotsInstalled: metrics.counter('raft_snapshots_installed_total', 'Snapshots installed.'),
    checkpointsSaved: metrics.counter('raft_checkpoints_saved_total', 'Checkpoints saved.'),
    verifications: metrics.counter(
      'raft_log_verifications_total',
      'Logs of replicas read and verified as a whole.',
    ),
    ticksLate: metrics.counter('raft_ticks_late_total', 'Ticks that came far too late.'),
  };
}
