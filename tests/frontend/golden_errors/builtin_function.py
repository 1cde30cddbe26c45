from tracejit import script

script(len)
