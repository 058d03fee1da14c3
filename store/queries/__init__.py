"""Reading calls, their audio and exports."""
