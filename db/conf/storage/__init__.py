"""One file for each word after `storage=`."""
